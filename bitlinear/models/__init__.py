"""BitLinear in whole models: which layers can be replaced, and what replaces them."""
