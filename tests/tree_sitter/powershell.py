"""The trees of PowerShell texts, by a grammar that others wrote. Standard input: a JSON list of texts. Standard output: for
each the shape of its tree, without names and contents, and where it can't be read."""

import json
import sys

import tree_sitter_powershell
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_powershell.language()))


def walk(node, wrong):
    if node.is_error or node.is_missing:
        wrong.append(node.start_point[0] + 1)
    below = "".join(walk(child, wrong) for child in node.children)
    return f"({node.type}{below})"


answers = []
for text in json.load(sys.stdin):
    wrong = []
    shape = walk(parser.parse(text.encode()).root_node, wrong)
    answers.append({"shape": shape, "wrong": wrong})
json.dump(answers, sys.stdout)
