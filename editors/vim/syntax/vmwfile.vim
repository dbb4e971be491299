" VMWfiles: instructions, flags, values, and the shell's text by its own syntax.
if exists('b:current_syntax')
  finish
endif

" Heredocs of any length: what ends one must be seen from its start.
syntax sync fromstart

syntax include @vmwfileShell syntax/sh.vim
unlet! b:current_syntax
syntax case ignore

" Instructions. Those with shell text or prose have a region of their own, below.
syntax match vmwfileStart /^\s*\ze\a/ nextgroup=vmwfileInstruction,vmwfileRun,vmwfileProse
syntax keyword vmwfileInstruction contained nextgroup=vmwfileRest
      \ ADDRESS ARG CDROM CHECKPOINT CLUSTER CONFIG COPY CPU DATACENTER DATASTORE DISK ENV FETCH FOLDER FROM HARDWARE
      \ HEALTHCHECK HOST HOSTNAME INCLUDE KEY LABEL LOGIN MEMORY NETWORK NIC ON ONFAIL ONREMOVE OUTPUT POOL REBOOT SEAL
      \ SECRET SERIAL SHELL SNAPSHOT TAG USER WAIT WORKDIR
syntax match vmwfileRest contained /.*\%(\\\n.*\)*/ contains=@vmwfileWords,@vmwfileHeredocs,vmwfileRunWord

syntax cluster vmwfileWords contains=vmwfileFlag,vmwfileWord,vmwfileType,vmwfileString,vmwfileValue,vmwfileContinuation,vmwfileInnerComment,vmwfileNumber
syntax keyword vmwfileWord contained
      \ ADD AS CORES DELETE DEVICE DHCP DNS FETCH FILE FOLDER FOR FROM GATEWAY GENERATE IN IP LIBRARY LOGIN NETWORK NONE
      \ OFF OVA PASSWORD REMOVE REVERT SEARCH SIZE TAG TEMPLATE THICK THIN TOOLS VM
syntax match vmwfileType contained /:\s*\zs\%(string\|int\|bool\|ip\|cidr\|duration\|size\|json\|secret\|list<\h\+>\)\>/
syntax match vmwfileFlag contained /\%(^\|\s\)\zs--[a-z][a-z-]*/
syntax match vmwfileNumber contained /\<\d\+\%([hms]\|ms\|[KMGT]i\?B\)\?\>/
syntax match vmwfileContinuation contained /\\$/
syntax match vmwfileInnerComment contained /^\s*#.*$/
syntax region vmwfileString contained start=/"/ skip=/\\./ end=/"\|$/ contains=vmwfileValue,vmwfileEscape
syntax region vmwfileString contained start=/'/ end=/'\|$/
syntax match vmwfileEscape contained /\\["\\nt]/

" Shell text: RUN, and what has RUN among its words.
syntax keyword vmwfileRun contained RUN nextgroup=vmwfileShellLine
syntax match vmwfileShellLine contained /.*\%(\\\n.*\)*/ contains=vmwfileFlag,vmwfileValue,vmwfileInnerComment,@vmwfileHeredocs,@vmwfileShell
syntax match vmwfileRunWord contained /\s\zsRUN\>/ nextgroup=vmwfileShellLine

" Prose.
syntax keyword vmwfileProse contained NOTE ANNOTATION nextgroup=vmwfileText
syntax match vmwfileText contained /.*\%(\\\n.*\)*/ contains=vmwfileValue,vmwfileContinuation,vmwfileInnerComment

" Heredocs: no values in one whose name is quoted.
syntax cluster vmwfileHeredocs contains=vmwfileHeredoc,vmwfileRawHeredoc,vmwfileHereString
syntax match vmwfileHereString contained /<<</
syntax region vmwfileHeredoc contained matchgroup=vmwfileHeredocName keepend
      \ start=/<\@<!<<\s*\z(\h[0-9A-Za-z_.-]*\)\%(.*\)$/ end=/^\z1$/ contains=vmwfileValue,@vmwfileShell
syntax region vmwfileHeredoc contained matchgroup=vmwfileHeredocName keepend
      \ start=/<\@<!<<-\s*\z(\h[0-9A-Za-z_.-]*\)\%(.*\)$/ end=/^\s*\z1$/ contains=vmwfileValue,@vmwfileShell
syntax region vmwfileRawHeredoc contained matchgroup=vmwfileHeredocName keepend
      \ start=/<\@<!<<\s*\(['"]\)\z([^'"]\+\)\1\%(.*\)$/ end=/^\z1$/ contains=@vmwfileShell
syntax region vmwfileRawHeredoc contained matchgroup=vmwfileHeredocName keepend
      \ start=/<\@<!<<-\s*\(['"]\)\z([^'"]\+\)\1\%(.*\)$/ end=/^\s*\z1$/ contains=@vmwfileShell
" Two of one line: the second's body follows the first's.
syntax region vmwfileHeredoc contained matchgroup=vmwfileHeredocName keepend
      \ start=/<\@<!<<-\?\s*['"]\?\h[0-9A-Za-z_.-]*.\{-1,}<\@<!<<-\?\s*['"]\?\z(\h[0-9A-Za-z_.-]*\).*$/ end=/^\s*\z1$/
      \ contains=vmwfileValue,@vmwfileShell

" Values.
syntax region vmwfileValue matchgroup=vmwfileValueEdge contained containedin=@vmwfileShell
      \ start=/\$\@<!\${{/ end=/}}\|$/ contains=vmwfileValueWord,vmwfileFilter,vmwfileString,vmwfileNumber
syntax keyword vmwfileValueWord contained and or not if else true false self build
syntax match vmwfileFilter contained /|\s*\zs\h\w*/

syntax match vmwfileComment /^\s*#.*$/ contains=vmwfileDirective,vmwfilePragma,@Spell
syntax match vmwfileDirective contained /\%(escape\|vmwfile\)\s*=\s*\S\+\s*$/
syntax match vmwfilePragma contained /vmw:\s*allow\%(-file\)\?([^)]*)/

highlight default link vmwfileInstruction Statement
highlight default link vmwfileRun Statement
highlight default link vmwfileProse Statement
highlight default link vmwfileWord Keyword
highlight default link vmwfileRunWord Keyword
highlight default link vmwfileType Type
highlight default link vmwfileFlag Special
highlight default link vmwfileNumber Number
highlight default link vmwfileString String
highlight default link vmwfileEscape SpecialChar
highlight default link vmwfileContinuation SpecialChar
highlight default link vmwfileText String
highlight default link vmwfileHeredocName Label
highlight default link vmwfileValue Identifier
highlight default link vmwfileValueEdge PreProc
highlight default link vmwfileValueWord Keyword
highlight default link vmwfileFilter Function
highlight default link vmwfileComment Comment
highlight default link vmwfileInnerComment Comment
highlight default link vmwfileDirective PreProc
highlight default link vmwfilePragma PreProc

let b:current_syntax = 'vmwfile'
