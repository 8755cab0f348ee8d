"""What the loops of any looped model do, from two methods of an adapter."""
