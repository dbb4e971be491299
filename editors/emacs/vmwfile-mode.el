;;; vmwfile-mode.el --- Major mode for VMWfiles  -*- lexical-binding: t; -*-

;; Package-Requires: ((emacs "27.1"))
;; Keywords: languages

;;; Commentary:

;; Highlighting, comments, imenu, `vmwbuild fmt', and the language server by eglot:
;;
;;   (require 'vmwfile-mode)
;;   (add-hook 'vmwfile-mode-hook #'eglot-ensure)

;;; Code:

(require 'sh-script)

(defgroup vmwfile nil "VMWfiles of vmwbuild." :group 'languages)

(defcustom vmwfile-command "vmwbuild" "The program." :type 'string)

(defconst vmwfile-instructions
  '("ADDRESS" "ANNOTATION" "ARG" "CDROM" "CHECKPOINT" "CLUSTER" "CONFIG" "COPY" "CPU" "DATACENTER" "DATASTORE" "DISK"
    "ENV" "FETCH" "FOLDER" "FROM" "HARDWARE" "HEALTHCHECK" "HOST" "HOSTNAME" "INCLUDE" "KEY" "LABEL" "LOGIN" "MEMORY"
    "NETWORK" "NIC" "NOTE" "ON" "ONFAIL" "ONREMOVE" "OUTPUT" "POOL" "REBOOT" "RUN" "SEAL" "SECRET" "SERIAL" "SHELL"
    "SNAPSHOT" "TAG" "USER" "WAIT" "WORKDIR")
  "What a line begins with.")

(defconst vmwfile-words
  '("ADD" "AS" "CORES" "DELETE" "DEVICE" "DHCP" "DNS" "FETCH" "FILE" "FOLDER" "FOR" "FROM" "GATEWAY" "GENERATE" "IN"
    "IP" "LIBRARY" "LOGIN" "NETWORK" "NONE" "OFF" "OVA" "PASSWORD" "REMOVE" "REVERT" "RUN" "SEARCH" "SIZE" "TAG"
    "TEMPLATE" "THICK" "THIN" "TOOLS" "VM")
  "What stands among an instruction's arguments.")

(defconst vmwfile--line (concat "^[ \t]*\\(" (regexp-opt vmwfile-instructions) "\\)\\_>"))

(defun vmwfile--here-p (pos)
  "Whether POS is in a heredoc, or in the line that ends it."
  (get-text-property pos 'vmwfile-heredoc))

(defconst vmwfile--heredoc "\\(?:^\\|[^<]\\)<<\\(-?\\)[ \t]*\\(['\"]?\\)\\([A-Za-z_][A-Za-z0-9_.-]*\\)\\2"
  "What begins a heredoc.")

(defun vmwfile--propertize (start end)
  "Mark heredocs between START and END, which are whole lines."
  (remove-text-properties start end '(vmwfile-heredoc nil))
  (goto-char start)
  (while (re-search-forward vmwfile--heredoc end t)
    (beginning-of-line)
    (let ((ends nil) (line (line-end-position)))
      ;; A comment's is none. Those of one line follow it in their order.
      (unless (looking-at "[ \t]*#")
        (while (re-search-forward vmwfile--heredoc line t)
          (push (concat "^" (if (string= (match-string 1) "-") "[ \t]*" "")
                        (regexp-quote (match-string-no-properties 3)) "$")
                ends)))
      (goto-char line)
      (forward-line 1)
      (dolist (terminator (nreverse ends))
        (let ((begin (point)))
          (when (re-search-forward terminator end t)
            (forward-line 1)
            (put-text-property begin (point) 'vmwfile-heredoc t)))))))

(defun vmwfile--extend (start end)
  "Whole buffers only: where a heredoc ends shows from its start."
  (ignore start end)
  (cons (point-min) (point-max)))

(defun vmwfile--instruction (limit)
  "Find the next instruction before LIMIT that isn't in a heredoc."
  (let ((case-fold-search t) (found nil))
    (while (and (not found) (re-search-forward vmwfile--line limit t))
      (setq found (not (vmwfile--here-p (match-beginning 1)))))
    found))

(defun vmwfile--word (limit)
  "Find the next word of an instruction before LIMIT; prose and heredocs have none."
  (let ((found nil))
    (while (and (not found)
                (re-search-forward (concat "[ \t]\\(" (regexp-opt vmwfile-words) "\\)\\_>") limit t))
      (setq found (save-match-data
                    (save-excursion
                      (and (not (vmwfile--here-p (match-beginning 1)))
                           (progn (beginning-of-line)
                                  (let ((case-fold-search t))
                                    (not (looking-at "[ \t]*\\(?:NOTE\\|ANNOTATION\\|RUN\\)\\_>")))))))))
    found))

(defconst vmwfile-font-lock-keywords
  `(("^[ \t]*#[ \t]*\\(vmw:[ \t]*allow\\(?:-file\\)?([^)]*)\\)" 1 font-lock-preprocessor-face t)
    ("^[ \t]*#[ \t]*\\(\\(?:escape\\|vmwfile\\)[ \t]*=.*\\)$" 1 font-lock-preprocessor-face t)
    (vmwfile--instruction 1 font-lock-keyword-face)
    ("[ \t]\\(--[a-z][a-z-]*\\)" 1 font-lock-constant-face)
    (vmwfile--word 1 font-lock-builtin-face)
    (":[ \t]*\\(string\\|int\\|bool\\|ip\\|cidr\\|duration\\|size\\|json\\|secret\\|list<[a-z]+>\\)\\_>"
     1 font-lock-type-face)
    ("<<-?[ \t]*['\"]?\\([A-Za-z_][A-Za-z0-9_.-]*\\)" 1 font-lock-string-face)
    ("\\${{[^}\n]*}}" 0 font-lock-variable-name-face t)
    ("\\\\$" 0 font-lock-warning-face)))

(defvar vmwfile-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?_ "_" table)
    (modify-syntax-entry ?- "_" table)
    (modify-syntax-entry ?' "." table)
    table))

(defun vmwfile--syntax-propertize (start end)
  "Heredocs between START and END, and `#' that begins no comment."
  (vmwfile--propertize start end)
  (goto-char start)
  (while (re-search-forward "#" end t)
    (let ((at (match-beginning 0)))
      (unless (and (save-excursion (goto-char at) (skip-chars-backward " \t") (bolp))
                   (not (vmwfile--here-p at)))
        (put-text-property at (1+ at) 'syntax-table (string-to-syntax ".")))))
  ;; Quotes pair in one line only: a lone one is text.
  (goto-char start)
  (while (re-search-forward "\"" end t)
    (let ((at (match-beginning 0)))
      (if (re-search-forward "\"" (line-end-position) t)
          nil
        (put-text-property at (1+ at) 'syntax-table (string-to-syntax "."))))))

(defun vmwfile-format ()
  "Write the buffer in canonical form, by `vmwbuild fmt'."
  (interactive)
  (let ((out (generate-new-buffer " *vmwbuild fmt*")) (here (point)))
    (unwind-protect
        (if (zerop (call-process-region (point-min) (point-max) vmwfile-command nil (list out nil) nil "fmt" "-"))
            (progn (replace-buffer-contents out) (goto-char (min here (point-max))))
          (user-error "The file has errors; `M-x compile RET vmwbuild lint' tells them"))
      (kill-buffer out))))

;;;###autoload
(define-derived-mode vmwfile-mode prog-mode "VMWfile"
  "Major mode for VMWfiles."
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+[ \t]*")
  (setq-local font-lock-defaults '(vmwfile-font-lock-keywords))
  (setq-local syntax-propertize-function #'vmwfile--syntax-propertize)
  (add-hook 'syntax-propertize-extend-region-functions #'vmwfile--extend nil t)
  (setq-local imenu-generic-expression
              '(("Stages" "^[ \t]*FROM[ \t].*[ \t]AS[ \t]+\\([A-Za-z_][A-Za-z0-9_]*\\)" 1)
                ("Keys" "^[ \t]*KEY[ \t]+\\([A-Za-z_][A-Za-z0-9_]*\\)" 1)
                ("Arguments" "^[ \t]*\\(?:ARG\\|SECRET\\)[ \t]+\\([A-Za-z_][A-Za-z0-9_]*\\)" 1)))
  (setq-local compile-command (concat vmwfile-command " lint --format concise " )))

;;;###autoload
(add-to-list 'auto-mode-alist '("/[vV][mM][wW]file\\(?:\\.[^/]*\\)?\\'\\|\\.vmwfile\\'" . vmwfile-mode))

(defvar eglot-server-programs)
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs `(vmwfile-mode . (,vmwfile-command "lsp"))))

(provide 'vmwfile-mode)
;;; vmwfile-mode.el ends here
