"""The subcommands of `siamjax`, one module each."""

import siamjax.bundled  # noqa: F401  (they import `data_prep`)
