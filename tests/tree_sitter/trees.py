"""What the tree-sitter grammar makes of texts. Standard input and output are JSON; the first argument is the compiled
grammar, the second the directory of its queries.

{"texts": […], "corpus": ["file", …]} → {"trees": [{"wrong": …, "instructions": […], "bodies": […], "captures": {…}}],
"corpus": […what differs…]}
"""
import ctypes
import json
import pathlib
import re
import sys

from tree_sitter import Language, Parser, Query, QueryCursor

library = ctypes.CDLL(sys.argv[1])
library.tree_sitter_vmwfile.restype = ctypes.c_void_p
capsule = ctypes.pythonapi.PyCapsule_New
capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
language = Language(capsule(library.tree_sitter_vmwfile(), b"tree_sitter.Language", None))
queries = {p.stem: Query(language, p.read_text()) for p in sorted(pathlib.Path(sys.argv[2]).glob("*.scm"))}


def first_wrong(node):
    """Where the tree is wrong first: [line, column, text], None where it isn't."""
    if node.type == "ERROR" or node.is_missing:
        return [node.start_point[0] + 1, node.start_point[1], node.type, node.text.decode("utf-8", "replace")[:60]]
    for child in node.children:
        if child.has_error or child.is_missing:
            return first_wrong(child)
    return None


def every(node):
    yield node
    for child in node.children:
        yield from every(child)


def tree(text, capturing):
    data = text.encode()
    root = Parser(language).parse(data).root_node
    nodes = list(every(root))
    captures = {
        name: sorted(
            [capture, node.start_byte, node.end_byte]
            for capture, found in QueryCursor(query).captures(root).items()
            for node in found
        )
        for name, query in (queries.items() if capturing else ())
    }
    return {
        "wrong": first_wrong(root) if root.has_error else None,
        "instructions": sorted(n.start_point[0] + 1 for n in nodes if n.type.endswith("_instruction")),
        "bodies": [[n.start_byte, n.end_byte] for n in nodes if n.type == "heredoc_body"],
        "ends": [[n.start_byte, n.end_byte] for n in nodes if n.type == "heredoc_end"],
        "captures": captures,
    }


def incremental(text):
    """Types the text, character by character: after each line the tree must be the one of a fresh reading."""
    parser, old, so_far, point = Parser(language), None, b"", (0, 0)
    for char in text:
        data = char.encode()
        end = (point[0] + 1, 0) if char == "\n" else (point[0], point[1] + len(data))
        new = so_far + data
        if old is not None:
            old.edit(len(so_far), len(so_far), len(new), point, point, end)
            old = parser.parse(new, old)
        else:
            old = parser.parse(new)
        so_far, point = new, end
        if char == "\n" and not old.root_node.has_error:
            if str(old.root_node) != str(Parser(language).parse(so_far).root_node):
                return so_far.decode()
    return True


TITLE = r"^={3,}\n(.*)\n(:error\n)?={3,}\n"


def corpus(path):
    """The form of `tree-sitter test`: a title between lines of `=`, the source, `---`, the tree."""
    parts = re.split(TITLE, pathlib.Path(path).read_text(), flags=re.M)[1:]
    for title, wrong, case in zip(parts[::3], parts[1::3], parts[2::3]):
        source, wanted = re.split(r"^---+\n", case, maxsplit=1, flags=re.M)
        source = source.removeprefix("\n").removesuffix("\n")
        root = Parser(language).parse(source.encode()).root_node
        if wrong:
            if not root.has_error:
                yield f"{path}, {title}: nothing is wrong"
            continue
        found = str(root)
        plain = lambda s: re.sub(r"\s+", " ", s.replace("\n", " ")).replace("( ", "(").replace(" )", ")").strip()
        if ":" not in wanted:
            found = re.sub(r"\b[a-z_]+: ", "", found)
        if plain(found) != plain(wanted):
            yield f"{path}, {title}:\n{plain(found)}\nwanted:\n{plain(wanted)}"


asked = json.load(sys.stdin)
json.dump(
    {
        "trees": [tree(text, asked.get("captures", False)) for text in asked["texts"]],
        "typed": [incremental(text) for text in asked.get("typed", [])],
        "corpus": [wrong for path in asked.get("corpus", []) for wrong in corpus(path)],
        "cases": sum(len(re.findall(TITLE, pathlib.Path(p).read_text(), flags=re.M)) for p in asked.get("corpus", [])),
        "queries": sorted(queries),
    },
    sys.stdout,
)
