"""User-defined initializers: a function in a module here is the recipe `own.module:function` in params.yaml."""
