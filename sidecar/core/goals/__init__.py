"""Goals: what Microsoft has, what the configuration asks for, and whether the two fit. Decides; reads nothing."""
