"""Search of a method's settings against the references' band."""
