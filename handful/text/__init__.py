"""What only text needs: the same files and function names as `handful.image`."""
