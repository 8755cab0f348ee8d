"""The exponents that the constructions attain, measured with certified errors."""
