"""Example networks with real content: data, training and export. Not part of the installed packages."""
