// "Show graph": the drawing of `vmwbuild graph`, drawn anew when the file is saved.

import { randomBytes } from 'node:crypto';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { call, currentFile } from './program';

const panels = new Map<string, vscode.WebviewPanel>();

/** Shows the graph of the VMWfile in front beside it. */
export async function showGraph(): Promise<void> {
    const file = await currentFile();
    if (!file) {
        return;
    }
    const key = file.toString();
    let panel = panels.get(key);
    if (panel) {
        panel.reveal(undefined, true);
    } else {
        const title = `Graph of ${path.basename(file.fsPath)}`;
        const place = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
        // No scripts: a drawing needs none.
        panel = vscode.window.createWebviewPanel('vmwbuild.graph', title, place, { localResourceRoots: [] });
        panels.set(key, panel);
        panel.onDidDispose(() => panels.delete(key));
    }
    await draw(file);
}

/** Draws those that are shown anew when their file is saved. */
export function followSaves(): vscode.Disposable {
    return vscode.workspace.onDidSaveTextDocument(document => void draw(document.uri));
}

async function draw(file: vscode.Uri): Promise<void> {
    if (!panels.has(file.toString())) {
        return;
    }
    const outcome = await call(file, ['graph', '--format', 'svg', '--color', 'never', '--file', file.fsPath]);
    // It may have been closed meanwhile.
    const panel = panels.get(file.toString());
    if (panel) {
        panel.webview.html = page('out' in outcome ? outcome.out : `<pre>${escape(outcome.failure)}</pre>`);
    }
}

function page(body: string): string {
    const nonce = randomBytes(16).toString('base64');
    // The drawing has a style of its own, which gets the nonce as well.
    const marked = body.replace(/<style>/g, `<style nonce="${nonce}">`);
    return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'">
<style nonce="${nonce}">body { padding: 1em; } pre { white-space: pre-wrap; }</style>
</head>
<body>
${marked}
</body>
</html>`;
}

function escape(text: string): string {
    return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
