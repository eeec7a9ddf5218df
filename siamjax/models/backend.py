"""Which machine a program is traced for: some operations have a formulation of their own there."""

import jax


def name() -> str:
    """The backend on which the program being traced will run: cpu, gpu or tpu."""
    return jax.default_backend()
