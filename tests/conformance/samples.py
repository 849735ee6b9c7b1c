"""Orders in each built-in vendor's own format."""

from halley.testing.conformance import Sample
from halley.testing.conformance.drive import IMAGE

SAMPLES = {
    "bfl": Sample(path="/flux/v1/flux-pro-1.1", body={"prompt": "a red teapot", "width": 256, "height": 256}),
    "replicate": Sample(
        path="/replicate/v1/models/black-forest-labs/flux-dev/predictions",
        body={"input": {"prompt": "a red teapot", "megapixels": "0.25"}},
        image_path="/replicate/v1/models/black-forest-labs/flux-dev/predictions",
        image_body={"input": {"prompt": "a red teapot", "megapixels": "0.25", "image": IMAGE}},
    ),
}
