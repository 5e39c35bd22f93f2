"""Grade a class in minutes without trusting its code.

Importing this package loads neither torch nor nbgrader.
"""
