"""Writes the products of the models that come with the project, from their configurations: needs transformers.

`python docs/experiments/models/shipped.py`, after a configuration has changed or has been added.
"""

import msgspec

from suites.models import shipped
from suites.models.configuration import module_of, read_configuration
from suites.models.modules import model_of

if __name__ == "__main__":
    for path in sorted(shipped.FOLDER.glob("*.json")):
        if not path.name.endswith(shipped.MADE):
            model = model_of(module_of(read_configuration(path), path.stem), path.stem)
            text = msgspec.json.format(msgspec.json.encode(model), indent=1)
            path.with_name(f"{path.stem}{shipped.MADE}").write_bytes(text + b"\n")
            print(f"{path.stem}: {model.parameters:,} parameters, {model.active_parameters:,.0f} for each token")
