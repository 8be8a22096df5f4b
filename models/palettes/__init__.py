"""How the palettes that ship were made: published numbers, and what is computed from them."""
