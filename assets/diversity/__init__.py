"""Methods that measure how diverse rows and answers are, and that choose among rows."""
