"""Many models of one configuration, trained as one."""
