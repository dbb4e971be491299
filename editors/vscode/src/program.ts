// The program `vmwbuild`, and how it is called.

import { execFile } from 'node:child_process';
import * as path from 'node:path';
import * as vscode from 'vscode';

/** What the setting says. A relative path with a directory is one of the workspace's. */
export function program(scope?: vscode.Uri): string {
    const set = vscode.workspace.getConfiguration('vmwbuild', scope).get<string>('path')?.trim() || 'vmwbuild';
    const folder = (scope && vscode.workspace.getWorkspaceFolder(scope)) ?? vscode.workspace.workspaceFolders?.[0];
    const relative = /[\\/]/.test(set) && !path.isAbsolute(set);
    return relative && folder ? path.join(folder.uri.fsPath, set) : set;
}

/** The VMWfile in front, saved: the program reads files. A message and nothing if there is none. */
export async function currentFile(): Promise<vscode.Uri | undefined> {
    const document = vscode.window.activeTextEditor?.document;
    if (document?.languageId !== 'vmwfile' || document.uri.scheme !== 'file') {
        void vscode.window.showInformationMessage('Open a VMWfile on this disk first.');
        return undefined;
    }
    if (document.isDirty && !(await document.save())) {
        void vscode.window.showWarningMessage(`${path.basename(document.fileName)} could not be saved.`);
        return undefined;
    }
    return document.uri;
}

/** How a call ended. */
export type Outcome = { out: string } | { failure: string };

/** Runs the program without a shell, in the file's directory. */
export function call(file: vscode.Uri, args: string[]): Promise<Outcome> {
    const options = { cwd: path.dirname(file.fsPath), maxBuffer: 64 * 1024 * 1024, windowsHide: true };
    const name = program(file);
    return new Promise(resolve => {
        execFile(name, args, options, (error, out, messages) => {
            if (!error) {
                resolve({ out });
            } else if (error.code === 'ENOENT') {
                resolve({ failure: missing(name) });
            } else {
                resolve({ failure: messages.trim() || error.message });
            }
        });
    });
}

/** What is said where the program is not. */
export function missing(name: string): string {
    return `There is no program ${name}. Install vmwbuild, or name its path in the setting vmwbuild.path.`;
}
