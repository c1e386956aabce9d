import pytest
from PIL import Image
from serving.photos import BROKEN, COUNT, noise
from serving.small_bundles import write_bundle

from kerasvae.serving import Bundle, encode_files


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of images of noise in two subfolders and itself, of which two are broken."""
    folder = tmp_path_factory.mktemp("images") / "photos"
    for number in range(COUNT):
        path = folder / ("", "a", "b")[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number)).save(path)
    for name in BROKEN:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    write_bundle(folder, names=["x", "y", "z2"])
    return Bundle(folder, threads=1)


@pytest.fixture
def encode(bundle, photos, tmp_path):
    """`encode_files` of the photographs in batches of four, two threads."""

    def call(out="codes.csv", files=(photos,), **options):
        return encode_files(
            bundle, files, tmp_path / out, **{"batch_size": 4, "recursive": True, "threads": 2, **options}
        )

    return call
