// VMWfiles in colour, for the highlight.js that mdBook brings along. The two lists are made from the instruction
// table: VMWBUILD_UPDATE=1 cargo test --test docs
(function () {
  'use strict';

  const instructions = 'HEALTHCHECK|ANNOTATION|CHECKPOINT|DATACENTER|DATASTORE|HARDWARE|HOSTNAME|ONREMOVE|SNAPSHOT|ADDRESS|CLUSTER|INCLUDE|NETWORK|WORKDIR|CONFIG|FOLDER|MEMORY|ONFAIL|OUTPUT|REBOOT|SECRET|SERIAL|CDROM|FETCH|LABEL|LOGIN|SHELL|COPY|DISK|FROM|HOST|NOTE|POOL|SEAL|USER|WAIT|ARG|CPU|ENV|KEY|NIC|RUN|TAG|ON';
  const words = 'GENERATE|PASSWORD|TEMPLATE|GATEWAY|LIBRARY|NETWORK|DELETE|DEVICE|FOLDER|REMOVE|REVERT|SEARCH|CORES|FETCH|LOGIN|THICK|TOOLS|DHCP|FILE|FROM|NONE|SIZE|THIN|ADD|DNS|FOR|OFF|OVA|RUN|TAG|AS|IN|IP|VM';

  function vmwfile(hljs) {
    const hole = {
      className: 'subst',
      begin: /\$\{\{/,
      end: /\}\}/,
      keywords: { keyword: 'and or not if else', literal: 'true false' },
      contains: [{ className: 'string', begin: /"/, end: /"/ }, { className: 'number', begin: /\b\d\w*/ }],
    };
    const quoted = { className: 'string', begin: /"/, end: /"|$/, contains: [{ begin: /\\./ }, hole] };
    const raw = { className: 'string', begin: /'/, end: /'|$/ };
    const variable = { className: 'variable', begin: /\$(?!\{\{)(?:[A-Za-z_]\w*|\{[^}\n]*\})/ };
    // The bodies of a line's heredocs end with the last one's name.
    const heredoc = hljs.END_SAME_AS_BEGIN({
      begin: /<<-?[ \t]*["']?([A-Za-z_][\w.-]*)["']?(?!.*<<)/,
      end: /^[ \t]*([A-Za-z_][\w.-]*)$/,
      contains: [hole],
    });
    heredoc.className = 'string';
    return {
      name: 'VMWfile',
      contains: [
        { className: 'comment', begin: /^[ \t]*#/, end: /$/ },
        {
          className: 'keyword',
          begin: new RegExp(`^[ \\t]*(?:${instructions}|${instructions.toLowerCase()})(?=[ \\t\\\\]|$)`),
        },
        { className: 'built_in', begin: new RegExp(`[ \\t](?:${words})(?=[ \\t\\\\]|$)`) },
        { className: 'attr', begin: /[ \t]--[a-z-]+/ },
        heredoc,
        hole,
        quoted,
        raw,
        variable,
      ],
    };
  }

  if (typeof module !== 'undefined') module.exports = vmwfile;
  if (typeof document === 'undefined') return;
  hljs.registerLanguage('vmwfile', vmwfile);
  // mdBook has looked at the code before this language was there.
  document.querySelectorAll('code.language-vmwfile').forEach((block) => {
    block.textContent = block.textContent;
    delete block.dataset.highlighted;
    hljs.highlightBlock(block);
    block.classList.add('hljs');
  });
})();
