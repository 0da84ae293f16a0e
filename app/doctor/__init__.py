"""What an installation looks like to whoever examines it: `kaimen doctor`."""
