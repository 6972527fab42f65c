"""Functions compiled by Numba, kept on disk as machine code, and called without importing Numba.

In each process of `dvc repro` Numba would take longer to be imported, and to load a function from its own cache, than
a small experiment takes to train. Here Numba is imported only to compile. The functions of a module are linked into one
object file, which llvmlite, the package below Numba, loads in some milliseconds. Their arguments are numbers and
addresses; they are called through ctypes, which releases the GIL.

The files are in `pipeline/__pycache__` of the repository in which DVC was called: a queued experiment runs in a
temporary checkout that is deleted afterwards, and would otherwise compile everything again. NUMBA_CACHE_DIR names
another folder. A file is found by a digest of the sources, the compiler and the processor, so checkouts with different
sources share the folder; files of earlier sources remain until the folder is deleted.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from pipeline.numerics import sources
from pipeline.numerics.sources import PACKAGE

if sys.platform != "win32":
    import fcntl

KINDS = {"int": "i64", "float": "double"}  # an argument's annotation, and its type in LLVM
C_TYPES: dict[str, Any] = {"i64": ctypes.c_int64, "double": ctypes.c_double}
COMPILERS = ("numba", "llvmlite")  # packages whose versions are part of the key
SETTINGS = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")  # variables with which Numba compiles for another processor
DIGEST = 32  # bytes of the SHA-256 at the beginning of a file
LONGEST_WAIT = 300.0  # seconds for which a process waits while another one compiles the same functions

_listeners: list[Callable[[], object]] = []


class Library:
    """The compiled functions of a module of this package, loaded or compiled when the first of them is used.

    `entry_points` returns functions with Numba's decorator `njit`, whose arguments are annotated as int (64 bits) or
    float and which return nothing. It imports `module`, their module, and is called only to compile.
    """

    def __init__(self, module: str, entry_points: Callable[[], Sequence[Any]]) -> None:
        self.module, self.entry_points = module, entry_points
        self._lock = threading.Lock()
        self._functions: dict[str, Callable[..., object]] = {}
        self._engine: Any = None  # owns the machine code

    def __getitem__(self, name: str) -> Callable[..., object]:
        """The compiled function `name`, which raises RuntimeError where Numba's code raises any exception."""
        with self._lock:
            if not self._functions:
                name_of_file = self.name_of_file()
                self._load(read(name_of_file) or self._compile(name_of_file))
        return self._functions[name]

    def name_of_file(self) -> str:
        """The name of the file with its machine code for this processor."""
        return f"{self.module.rpartition('.')[2]}-{key(self.module)[:32]}.nbo"

    def _compile(self, name_of_file: str) -> bytes:
        for notify in _listeners:
            notify()
        with locked(name_of_file):
            content = read(name_of_file)  # another process may have compiled it meanwhile
            if content is None:
                content = compile_functions(self.entry_points())
                write(name_of_file, content)
        return content

    def _load(self, content: bytes) -> None:
        header, _, code = content.partition(b"\n")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        for name, kinds in json.loads(header).items():
            types = [C_TYPES[kind] for kind in kinds]
            function: Any = ctypes.CFUNCTYPE(ctypes.c_int32, *types)(self._engine.get_function_address(name))
            function.errcheck = check_status
            self._functions[name] = function


def check_status(status: Any, function: Any, arguments: Any) -> None:
    """Raise RuntimeError unless the status that a compiled function returned is 0."""
    if status != 0:
        raise RuntimeError(f"compiled code ended with status {status}")


def compile_functions(functions: Sequence[Any]) -> bytes:
    """A line of JSON with the argument types of each function, then the object file of all functions."""
    module, machine = linked(functions)
    signatures = {each.py_func.__name__: argument_types(each) for each in functions}
    code: bytes = machine.emit_object(module)
    return json.dumps(signatures).encode() + b"\n" + code


def argument_types(function: Any) -> list[str]:
    """The types of the arguments of a function in LLVM, from its annotations."""
    return [KINDS[kind.__name__] for name, kind in function.py_func.__annotations__.items() if name != "return"]


def linked(functions: Sequence[Any]) -> tuple[Any, Any]:
    """The LLVM module of all functions, optimized, and the target machine for which Numba compiled them.

    Each function has the name of the Python function, and calls Numba's, whose further arguments are places for the
    result, which is None, and for an exception.
    """
    from numba import njit, types

    numba_types = {"i64": types.int64, "double": types.float64}
    whole = llvm.parse_assembly("")
    with only_llvm() as machine:
        for function in functions:
            kinds = argument_types(function)
            signature = types.void(*(numba_types[kind] for kind in kinds))
            made = njit(signature, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function.py_func)
            result = made.overloads[signature.args]
            inner = result.fndesc.llvm_func_name
            arguments = ", ".join(f"{kind} %{place}" for place, kind in enumerate(kinds))
            calling = f"""
            declare i32 @"{inner}"({", ".join(["ptr", "ptr", *kinds])})
            define i32 @"{function.py_func.__name__}"({arguments}) {{
                %result = alloca ptr
                %exception = alloca ptr
                %status = call i32 @"{inner}"(ptr %result, ptr %exception, {arguments})
                ret i32 %status
            }}"""
            for text in (result.library.get_llvm_str(), calling):
                whole.link_in(llvm.parse_assembly(text))
    optimize(whole, machine, [function.py_func.__name__ for function in functions])
    return whole, machine


@contextlib.contextmanager
def only_llvm() -> Iterator[Any]:
    """A context in which Numba translates functions to LLVM, but neither optimizes them nor generates machine code.

    Numba would do both for each function together with all that it calls, and so do most of it many times. Functions
    compiled in this context cannot be called from Python. The value of the context is Numba's target machine.
    """
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    class Unoptimized(JITCodeLibrary):  # type: ignore[misc]  # Numba's classes have the type Any
        def _optimize_final_module(self) -> None:
            pass

        def _finalize_final_module(self) -> None:
            self._finalized = True

    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock:  # no other thread compiles meanwhile
        codegen._library_class, codegen.set_env = Unoptimized, lambda name, environment: None
        try:
            yield codegen._tm
        finally:
            del codegen._library_class, codegen.set_env  # those of its class are found again


def optimize(module: Any, machine: Any, exported: Sequence[str]) -> None:
    """Optimize a module in place, at Numba's level; of its functions those in `exported` can be called from outside."""
    for function in module.functions:
        if not function.is_declaration and function.name not in exported:
            function.linkage = "internal"
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)


def key(module: str) -> str:
    """The SHA-256, in hexadecimal, of everything on which the machine code of a module can depend.

    That is the source of the module with the dotted name `module`, of this one, and of every module of this package
    that they import directly or indirectly; the versions of Numba and llvmlite; and the processor.
    """
    files = sources.import_closure(module) | sources.import_closure(__name__)
    parts = [sources.digest(files), *(version(package) for package in COMPILERS), llvm.get_process_triple()]
    parts += [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    parts += [f"{name}={os.environ.get(name)}" for name in SETTINGS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def folders() -> list[Path]:
    """The folders in which files are sought and written: the first that exists, or can be made, is used.

    The second is for installations in which users must not write.
    """
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(folder)]
    package = Path(os.environ.get("DVC_ROOT", PACKAGE.parent)) / PACKAGE.name
    own = (package if package.is_dir() else PACKAGE) / "__pycache__"
    return [own, Path(os.path.expanduser("~")) / ".cache" / "weight-initialization"]


def read(name: str) -> bytes | None:
    """The content of the file `name`, or None if there is none or it is damaged."""
    for folder in folders():
        with contextlib.suppress(OSError):
            found = (folder / name).read_bytes()
            if hashlib.sha256(found[DIGEST:]).digest() == found[:DIGEST]:
                return found[DIGEST:]
    return None


def write(name: str, content: bytes) -> None:
    """Write the file `name` atomically to the first folder that permits it; to none if no folder does."""
    for folder in folders():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f"{name}.{os.getpid()}"
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(folder / name)
            return


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """A context in which one process at a time compiles the content of the file `name`; the others wait.

    The operating system releases the lock of a process that ends, however it ends. Where no folder or file system
    permits a lock, on Windows, and after LONGEST_WAIT seconds the context is entered without one, and the same content
    may be compiled twice.
    """
    with contextlib.ExitStack() as stack:
        for folder in folders() if sys.platform != "win32" else []:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{name}.lock"
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
                stack.callback(os.close, descriptor)
                if wait_for_lock(descriptor):
                    stack.callback(path.unlink, missing_ok=True)  # while it is held, after the content was written
                break
        yield


def wait_for_lock(descriptor: int) -> bool:
    """Whether the lock of an open file was acquired within LONGEST_WAIT. Raises OSError if it cannot be locked."""
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)


@contextlib.contextmanager
def when_compiling(notify: Callable[[], object]) -> Iterator[None]:
    """A context in which `notify` is called once if functions have to be compiled, not loaded from the disk."""
    calls = 0

    def once() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            notify()

    _listeners.append(once)
    try:
        yield
    finally:
        _listeners.remove(once)
