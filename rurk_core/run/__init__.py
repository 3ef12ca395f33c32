"""An experiment from its specification to its result: spec, plan, stages, result."""
