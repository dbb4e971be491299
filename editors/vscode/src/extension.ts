// Starts the language server `vmwbuild lsp` and offers what the editor itself does.

import * as path from 'node:path';
import * as vscode from 'vscode';
import { LanguageClient } from 'vscode-languageclient/node';
import { followSaves, showGraph } from './graph';
import { currentFile, missing, program } from './program';

/** A client that says nothing of its own of a start that fails: what is shown then says what to do, once. */
class Client extends LanguageClient {
    begun = false;

    override error(message: string, data?: unknown, showNotification: boolean | 'force' = true): void {
        super.error(message, data, this.begun && showNotification);
    }
}

let client: Client | undefined;
// Starts and stops come one after the other, however fast settings change.
let last: Promise<void> = Promise.resolve();

export function activate(context: vscode.ExtensionContext): void {
    context.subscriptions.push(
        vscode.commands.registerCommand('vmwbuild.buildOnSandbox', buildOnSandbox),
        vscode.commands.registerCommand('vmwbuild.showGraph', showGraph),
        vscode.commands.registerCommand('vmwbuild.restartServer', restart),
        followSaves(),
        vscode.workspace.onDidGrantWorkspaceTrust(() => void restart()),
        vscode.workspace.onDidChangeConfiguration(change => {
            if (change.affectsConfiguration('vmwbuild.path')) {
                void restart();
            }
        }),
    );
    void restart();
}

export async function deactivate(): Promise<void> {
    await last;
    await stop();
}

function restart(): Promise<void> {
    last = last.then(stop).then(start);
    return last;
}

async function stop(): Promise<void> {
    const running = client;
    client = undefined;
    try {
        await running?.dispose();
    } catch {
        // It ended by itself.
    }
}

async function start(): Promise<void> {
    // The setting may name any program: not in a workspace whose author nobody vouched for.
    if (!vscode.workspace.isTrusted) {
        return;
    }
    const command = program();
    const starting = new Client(
        'vmwbuild',
        'vmwbuild',
        { command, args: ['lsp'] },
        { documentSelector: [{ language: 'vmwfile', scheme: 'file' }, { language: 'vmwfile', scheme: 'untitled' }] },
    );
    try {
        await starting.start();
        starting.begun = true;
        client = starting;
    } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const text = reason.includes('ENOENT') ? missing(command) : `${command} lsp did not start: ${reason}`;
        // Not waited for: it stays until somebody closes it.
        void vscode.window.showErrorMessage(text, 'Open settings').then(choice => {
            if (choice) {
                void vscode.commands.executeCommand('workbench.action.openSettings', 'vmwbuild.path');
            }
        });
    }
}

/** A task, so that the terminal gets the words as they are, whichever shell it has. */
async function buildOnSandbox(): Promise<void> {
    const file = await currentFile();
    if (!file) {
        return;
    }
    const directory = path.dirname(file.fsPath);
    const process = new vscode.ProcessExecution(
        program(file),
        ['build', '--sandbox', '--file', file.fsPath, directory],
        { cwd: directory },
    );
    const scope = vscode.workspace.getWorkspaceFolder(file) ?? vscode.TaskScope.Workspace;
    const title = `Build ${path.basename(file.fsPath)} on the sandbox`;
    const task = new vscode.Task({ type: 'vmwbuild' }, scope, title, 'vmwbuild', process, []);
    task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, clear: true };
    await vscode.tasks.executeTask(task);
}
