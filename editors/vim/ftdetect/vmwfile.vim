" VMWfile, VMWfile.* and *.vmwfile, in any case.
autocmd BufNewFile,BufRead * if expand('<afile>:t') =~? '^vmwfile\%(\..*\)\?$\|\.vmwfile$' | setfiletype vmwfile | endif
