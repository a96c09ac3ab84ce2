"""What is said of the peers where they are missing, and that nobody pays for them who does not ask."""

import subprocess
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from bncli.errors import Unavailable
from bncli.loading.registry import load_kernel, registered_kernel
from command_line import invoke

PEERS = ("torch", "onednn", "inductor", "jax")
DTYPES = {"onednn": ("float32",), "inductor": ("float32", "float64")}
SAID = {
    "torch": "PyTorch is not installed: pip install 'bncli[peers]'",
    "inductor": "PyTorch is not installed: pip install 'bncli[peers]'",
    "onednn": "PyTorch is not installed: pip install 'bncli[peers]'",
    "jax": "JAX is not installed: pip install 'bncli[peers]'",
}


@pytest.fixture
def _no_peers(monkeypatch):
    for package in ("torch", "jax", "jaxlib"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed


def python(code, *folders):
    """What ``code`` prints in a new interpreter that finds packages in ``folders`` first."""
    code = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.usefixtures("_no_peers")
@pytest.mark.parametrize("name", PEERS)
def test_a_missing_peer_says_what_to_install(name):
    assert registered_kernel(name).available() == SAID[name]
    with pytest.raises(Unavailable) as raised:
        load_kernel(name)
    assert str(raised.value) == f"kernel {name!r} cannot run here: {SAID[name]}"


@pytest.mark.usefixtures("_no_peers")
@pytest.mark.parametrize("name", PEERS)
def test_asking_for_a_missing_peer_is_exit_3_and_one_line(name):
    result = invoke("gradcheck", "--kernel", name, "--dtype", "float32", "--shape", "5x4x4x3")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.strip().endswith(SAID[name])


@pytest.mark.usefixtures("_no_peers")
def test_kernels_lists_the_missing_peers_too():
    result = invoke("kernels", "--format", "csv")
    assert result.exit_code == 0
    for name, said in SAID.items():
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"{name},"))
        assert said in line


@pytest.mark.slow
def test_knowing_a_peer_imports_none():
    kernels = "\n".join(f"from bncli.kernels import {name}" for name in PEERS)
    found = python(f"{kernels}\nprint(sorted({{'torch', 'jax', 'jaxlib'}} & set(sys.modules)))")
    assert found == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_knowing_whether_a_peer_is_there_does_not_import_it(name, tmp_path):
    for package in ("torch", "jax", "jaxlib"):
        (tmp_path / f"{package}.py").write_text("raise SystemExit('imported')")
    assert python(f"from bncli.kernels import {name}\nprint({name}.KERNEL.available())", tmp_path) == "None"


def test_the_headers_of_onednn_say_that_it_is_there_without_importing_pytorch(tmp_path):
    package = tmp_path / "torch"
    (package / "include").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('imported')")
    ask = "from bncli.kernels import onednn\nprint(onednn.KERNEL.available())"
    assert python(ask, tmp_path).endswith("imported")  # nothing tells: it has to be asked
    (package / "include" / "dnnl.h").touch()
    assert python(ask, tmp_path) == "None"


def test_a_pytorch_that_cannot_be_imported_is_said_in_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libfoo.so:\\n cannot open shared object file')")
    found = python("from bncli.kernels import onednn\nprint(onednn.KERNEL.available())", tmp_path)
    assert found == "PyTorch is installed but cannot be imported: libfoo.so: cannot open shared object file"


@pytest.mark.parametrize("built", [True, False])
def test_a_pytorch_without_onednn_is_recognized(monkeypatch, built):
    torch = ModuleType("torch")
    torch.__spec__ = ModuleSpec("torch", None)
    torch.backends = SimpleNamespace(mkldnn=SimpleNamespace(is_available=lambda: built))
    monkeypatch.setitem(sys.modules, "torch", torch)
    said = registered_kernel("onednn").available()
    assert said == (None if built else "this PyTorch was built without oneDNN: install another build of it")


@pytest.fixture
def _pytorch(monkeypatch):
    torch = ModuleType("torch")
    torch.__spec__ = ModuleSpec("torch", None)
    monkeypatch.setitem(sys.modules, "torch", torch)


@pytest.mark.usefixtures("_pytorch")
def test_inductor_needs_a_compiler_and_says_which(monkeypatch, tmp_path):
    headers = tmp_path / "Python.h"
    headers.touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no 'no-such-compiler'" in registered_kernel("inductor").available()
    monkeypatch.setenv("CXX", sys.executable)  # something that can be run
    assert registered_kernel("inductor").available() is None
    headers.unlink()
    assert "needs Python's C headers" in registered_kernel("inductor").available()


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_tells_its_dtypes_and_what_it_is(name):
    kernel = registered_kernel(name)
    assert kernel.dtypes == DTYPES.get(name, ("float16", "bfloat16", "float32", "float64"))
    assert kernel.summary
    assert kernel.infer
    assert kernel.set_threads
