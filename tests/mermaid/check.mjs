// Has Mermaid's own parser read flowcharts: by hand, since it brings a hundred packages.
//
//   npm install --prefix /tmp/mermaid mermaid jsdom && cp tests/mermaid/check.mjs /tmp/mermaid/
//   vmwbuild graph examples/cluster --format mermaid > cluster.mmd && node /tmp/mermaid/check.mjs cluster.mmd
import { readFileSync } from 'node:fs';
import { JSDOM } from 'jsdom';

const dom = new JSDOM('<!DOCTYPE html><body></body>');
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const { default: mermaid } = await import('mermaid');

let bad = 0;
for (const file of process.argv.slice(2)) {
  try {
    const { diagramType } = await mermaid.parse(readFileSync(file, 'utf8'));
    console.log(`${file}: ${diagramType}`);
  } catch (error) {
    bad += 1;
    console.log(`${file}: ${error.message}`);
  }
}
process.exit(bad === 0 ? 0 : 1);
