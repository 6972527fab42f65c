"""Initializers of your own: a function here is the recipe `own.module:function` in params.yaml."""
