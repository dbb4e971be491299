// Reads a Dockerfile as `docker build --check` does before it asks a registry for anything: BuildKit's parser, its
// instructions, and those of its lints that need no build. Prints what it found; benches/lint.sh measures the process.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	warnings := 0
	lint := linter.New(&linter.Config{
		Warn: func(string, string, string, string, []parser.Range) { warnings++ },
	})
	file, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	file.PrintWarnings(os.Stderr)
	stages, args, err := instructions.Parse(file.AST, lint)
	if err != nil {
		panic(err)
	}
	commands := 0
	for _, stage := range stages {
		commands += len(stage.Commands)
	}
	fmt.Println(len(args), "ARG,", len(stages), "stages,", commands, "commands,", warnings, "warnings")
}
