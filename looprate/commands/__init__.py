"""The commands of ``looprate``, one file each."""
