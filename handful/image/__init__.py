"""What only images need: the same files and function names as `handful.text`."""
