"""The certificate format, its writer and the rigorous checker."""
