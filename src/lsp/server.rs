//! Messages: what is asked, and who answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use gen_lsp_types as lsp;
use indexmap::IndexMap;
use lsp_server::{Connection, ErrorCode, Message, Notification, ProtocolError, Request, Response};
use serde::Deserialize;

use super::analysis::{Analysis, analyse};
use super::documents::{Document, Documents, path_of};
use super::position::Encoding;
use super::{actions, complete, extract, hints, hover, navigate, outline, reformat, report, tokens};
use crate::lint::Config;

/// What the server is told of the world by whoever starts it.
pub trait Host {
    /// The levels for a VMWfile.
    fn levels(&self, file: &Path) -> Config;
    /// Values for the ARGs of these names: name → (text, where from).
    fn args(&self, file: &Path, names: &[&str]) -> IndexMap<String, (String, String)>;
    /// Whether a file of this name is a VMWfile.
    fn is_vmwfile(&self, name: &str) -> bool;
    /// Says what went wrong, for the editor's log.
    fn log(&self, text: &str);
}

/// How far above an included file the files are looked for that may include it.
const ABOVE: usize = 4;

/// Serves until the client says `exit`, or is gone.
///
/// # Errors
/// When the client doesn't follow the protocol.
pub fn serve(connection: &Connection, host: &dyn Host) -> Result<(), ProtocolError> {
    let (id, params) = connection.initialize_start()?;
    // A client that says something odd of itself is served all the same.
    let params: lsp::InitializeParams = serde_json::from_value(params).unwrap_or_default();
    let offered = params.capabilities.general.as_ref().and_then(|g| g.position_encodings.as_deref());
    let encoding = Encoding::negotiated(offered);
    let edits = params.capabilities.workspace.as_ref().and_then(|w| w.workspace_edit.as_ref());
    let ordered = edits.and_then(|e| e.document_changes).unwrap_or_default();
    let result = lsp::InitializeResult {
        capabilities: capabilities(encoding),
        server_info: Some(lsp::ServerInfo {
            name: "vmwbuild".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }),
    };
    connection.initialize_finish(id, serde_json::to_value(result).unwrap_or_default())?;
    let options = params.initialization_options.and_then(|o| serde_json::to_value(o).ok());
    let docs = options.as_ref().and_then(|o| o.get("diagnosticsPage")?.as_str()).map(str::to_owned);
    let mut server = Server {
        connection,
        host,
        encoding,
        docs: docs.or_else(page),
        ordered,
        documents: Documents::default(),
        analyses: HashMap::new(),
        hidden: BTreeSet::new(),
        published: BTreeMap::new(),
        stale: true,
    };
    loop {
        let message = match connection.receiver.try_recv() {
            Ok(message) => message,
            Err(_) => {
                // Nothing more is to come for now: time to tell what is wrong.
                server.publish();
                match connection.receiver.recv() {
                    Ok(message) => message,
                    Err(_) => return Ok(()),
                }
            }
        };
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request)? {
                    return Ok(());
                }
                let response = server.answer(request);
                server.send(Message::Response(response));
            }
            Message::Notification(notification) => server.notice(notification),
            Message::Response(_) => {}
        }
    }
}

/// The page of all codes, in the repository that this was built from.
fn page() -> Option<String> {
    let repository = env!("CARGO_PKG_REPOSITORY").trim_end_matches('/');
    (!repository.is_empty()).then(|| format!("{repository}/blob/main/docs/diagnostics.md"))
}

fn capabilities(encoding: Encoding) -> lsp::ServerCapabilities {
    let words = |list: &[&str]| Some(list.iter().map(|w| (*w).to_owned()).collect());
    lsp::ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(lsp::TextDocumentSync::Options(lsp::TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(lsp::TextDocumentSyncKind::Incremental),
            save: Some(lsp::Save::Bool(true)),
            ..Default::default()
        })),
        completion_provider: Some(lsp::CompletionOptions {
            trigger_characters: words(&["-", "=", ".", "|", "{", ":", "/", " "]),
            ..Default::default()
        }),
        hover_provider: Some(lsp::HoverProvider::Bool(true)),
        definition_provider: Some(lsp::DefinitionProvider::Bool(true)),
        references_provider: Some(lsp::ReferencesProvider::Bool(true)),
        document_highlight_provider: Some(lsp::DocumentHighlightProvider::Bool(true)),
        document_symbol_provider: Some(lsp::DocumentSymbolProvider::Bool(true)),
        code_action_provider: Some(lsp::CodeActionProvider::CodeActionOptions(lsp::CodeActionOptions {
            code_action_kinds: Some(vec![lsp::CodeActionKind::QuickFix, lsp::CodeActionKind::RefactorExtract]),
            ..Default::default()
        })),
        document_link_provider: Some(lsp::DocumentLinkOptions::default()),
        document_formatting_provider: Some(lsp::DocumentFormattingProvider::Bool(true)),
        document_range_formatting_provider: Some(lsp::DocumentRangeFormattingProvider::Bool(true)),
        rename_provider: Some(lsp::RenameProvider::RenameOptions(lsp::RenameOptions {
            prepare_provider: Some(true),
            ..Default::default()
        })),
        folding_range_provider: Some(lsp::FoldingRangeProvider::Bool(true)),
        selection_range_provider: Some(lsp::SelectionRangeProvider::Bool(true)),
        semantic_tokens_provider: Some(lsp::SemanticTokensProvider::SemanticTokensOptions(
            lsp::SemanticTokensOptions {
                legend: tokens::legend(),
                full: Some(lsp::Full::Bool(true)),
                ..Default::default()
            },
        )),
        inlay_hint_provider: Some(lsp::InlayHintProvider::Bool(true)),
        ..Default::default()
    }
}

/// The state of a session.
struct Server<'a> {
    connection: &'a Connection,
    host: &'a dyn Host,
    encoding: Encoding,
    docs: Option<String>,
    ordered: bool,
    documents: Documents,
    /// By main file; those that a change concerns are taken out.
    analyses: HashMap<PathBuf, Analysis>,
    /// VMWfiles that aren't open but include one that is.
    hidden: BTreeSet<PathBuf>,
    /// What the client was told last of each file: for which version, and what.
    published: BTreeMap<PathBuf, (Option<i32>, Vec<lsp::Diagnostic>)>,
    /// Whether anything has changed since.
    stale: bool,
}

/// What an answer is worked out from.
pub(super) struct Asked<'a> {
    pub analysis: &'a Analysis,
    pub documents: &'a Documents,
    pub host: &'a dyn Host,
    pub encoding: Encoding,
    pub docs: Option<&'a str>,
    /// Whether the client takes edits in order, with the versions that they are of.
    pub ordered: bool,
    /// The file that is asked about.
    pub path: &'a Path,
    /// The main file of the analysis.
    pub root: &'a Path,
    pub id: crate::source::SourceId,
}

impl Asked<'_> {
    pub fn source(&self) -> &crate::source::Source {
        self.analysis.sources.get(self.id)
    }

    pub fn text(&self) -> &str {
        &self.source().text
    }

    pub fn range(&self, span: crate::source::Span) -> lsp::Range {
        self.encoding.range(&self.analysis.sources, span)
    }

    pub fn offset(&self, position: lsp::Position) -> u32 {
        self.encoding.offset(self.source(), position)
    }

    pub fn location(&self, span: crate::source::Span) -> Option<lsp::Location> {
        let uri = self.documents.uri(&self.analysis.path(span.source)?);
        Some(lsp::Location { uri, range: self.range(span) })
    }

    /// Edits as the client takes them: by file, the files in the order of their paths where there is an order.
    pub fn edit(&self, edits: Vec<(PathBuf, lsp::TextEdit)>) -> lsp::WorkspaceEdit {
        let mut files: BTreeMap<PathBuf, Vec<lsp::TextEdit>> = BTreeMap::new();
        for (path, edit) in edits {
            files.entry(path).or_default().push(edit);
        }
        if !self.ordered {
            let changes = files.into_iter().map(|(path, edits)| (self.documents.uri(&path), edits)).collect();
            return lsp::WorkspaceEdit { changes: Some(changes), ..Default::default() };
        }
        let of_file = |(path, edits): (PathBuf, Vec<lsp::TextEdit>)| {
            let version = self.documents.get(&path).map(|document| document.version);
            let id = lsp::TextDocumentIdentifier { uri: self.documents.uri(&path) };
            let id = lsp::OptionalVersionedTextDocumentIdentifier { version, text_document_identifier: id };
            lsp::TextDocumentEdit { text_document: id, edits: edits.into_iter().map(Into::into).collect() }.into()
        };
        let changes = files.into_iter().map(of_file).collect();
        lsp::WorkspaceEdit { document_changes: Some(changes), ..Default::default() }
    }

    /// An edit of a place in any of the files.
    pub fn replace(&self, span: crate::source::Span, new_text: String) -> Option<(PathBuf, lsp::TextEdit)> {
        Some((self.analysis.path(span.source)?, lsp::TextEdit { range: self.range(span), new_text }))
    }
}

/// Just enough of any request's parameters.
#[derive(Deserialize)]
struct About {
    #[serde(rename = "textDocument")]
    document: lsp::TextDocumentIdentifier,
}

impl Server<'_> {
    fn send(&self, message: Message) {
        // A client that is gone is noticed where messages are received.
        let _ = self.connection.sender.send(message);
    }

    fn notice(&mut self, notification: Notification) {
        let params = notification.params;
        match notification.method.as_str() {
            "textDocument/didOpen" => {
                let Ok(params) = serde_json::from_value::<lsp::DidOpenTextDocumentParams>(params) else { return };
                let lsp::TextDocumentItem { uri, version, text, .. } = params.text_document;
                let path = path_of(&uri);
                self.documents.open(path.clone(), Document { uri, version, text });
                self.changed(&path);
                self.look_above(&path);
            }
            "textDocument/didChange" => {
                let Ok(params) = serde_json::from_value::<lsp::DidChangeTextDocumentParams>(params) else { return };
                let path = path_of(&params.text_document.text_document_identifier.uri);
                let version = params.text_document.version;
                self.documents.change(&path, version, params.content_changes, self.encoding);
                self.changed(&path);
            }
            "textDocument/didClose" => {
                let Ok(params) = serde_json::from_value::<lsp::DidCloseTextDocumentParams>(params) else { return };
                let path = path_of(&params.text_document.uri);
                self.documents.close(&path);
                self.changed(&path);
            }
            // Files on the disk, vmwbuild.toml among them, may have changed.
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" | "workspace/didChangeConfiguration" => {
                self.analyses.clear();
                self.stale = true;
            }
            _ => {}
        }
    }

    /// Forgets what was worked out from a file's old text.
    fn changed(&mut self, path: &Path) {
        self.analyses.retain(|root, analysis| root != path && analysis.file(path).is_none());
        self.stale = true;
    }

    /// Looks for a VMWfile near a file that includes it: names that it uses may be declared there.
    fn look_above(&mut self, path: &Path) {
        for directory in path.ancestors().skip(1).take(ABOVE) {
            let Ok(entries) = std::fs::read_dir(directory) else { break };
            let mut near: Vec<PathBuf> = entries
                .filter_map(|e| Some(e.ok()?.path()))
                .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| self.host.is_vmwfile(n)))
                .filter(|p| p != path && self.documents.get(p).is_none())
                .collect();
            near.sort();
            for candidate in near {
                if let Some(found) = analyse(&candidate, &self.documents, self.host)
                    && found.file(path).is_some()
                {
                    self.hidden.insert(candidate.clone());
                    self.analyses.insert(candidate, found);
                }
            }
        }
    }

    /// Looks at all files again that a change concerns.
    fn refresh(&mut self) {
        let open = self.documents.paths();
        self.hidden.retain(|path| !open.contains(path));
        for root in open.iter().chain(&self.hidden) {
            if !self.analyses.contains_key(root)
                && let Some(analysis) = analyse(root, &self.documents, self.host)
            {
                self.analyses.insert(root.clone(), analysis);
            }
        }
        // A file that isn't open counts only as long as it includes one that is.
        let wanted = |analysis: &Analysis| open.iter().any(|path| analysis.file(path).is_some());
        self.hidden.retain(|path| self.analyses.get(path).is_some_and(wanted));
        self.analyses.retain(|root, _| open.contains(root) || self.hidden.contains(root));
    }

    /// The main files: those that no other one includes.
    fn roots(&self) -> Vec<PathBuf> {
        let included =
            |path: &Path| self.analyses.iter().any(|(root, analysis)| root != path && analysis.file(path).is_some());
        let mut roots: Vec<PathBuf> = self.analyses.keys().filter(|p| !included(p)).cloned().collect();
        // Those that include each other all count.
        if roots.is_empty() {
            roots = self.analyses.keys().cloned().collect();
        }
        roots.sort();
        roots
    }

    /// Tells the client what has changed of what is wrong.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.refresh();
        let mut now: BTreeMap<PathBuf, Vec<lsp::Diagnostic>> = BTreeMap::new();
        for root in self.roots() {
            let Some(analysis) = self.analyses.get(&root) else { continue };
            for (path, list) in report::by_file(analysis, &self.documents, self.encoding, self.docs.as_deref()) {
                let all = now.entry(path).or_default();
                for diagnostic in list {
                    if !all.contains(&diagnostic) {
                        all.push(diagnostic);
                    }
                }
            }
        }
        let gone: Vec<PathBuf> = self.published.keys().filter(|p| !now.contains_key(*p)).cloned().collect();
        now.extend(gone.into_iter().map(|path| (path, Vec::new())));
        for (path, diagnostics) in now {
            let version = self.documents.get(&path).map(|d| d.version);
            let told = self.published.get(&path);
            let nothing_new = match told {
                Some((v, d)) => *v == version && *d == diagnostics,
                // A file that isn't open and has nothing wrong need not be told of.
                None => version.is_none() && diagnostics.is_empty(),
            };
            if nothing_new {
                continue;
            }
            if version.is_none() && diagnostics.is_empty() {
                self.published.remove(&path);
            } else {
                self.published.insert(path.clone(), (version, diagnostics.clone()));
            }
            let params = lsp::PublishDiagnosticsParams { uri: self.documents.uri(&path), version, diagnostics };
            let method = "textDocument/publishDiagnostics".to_owned();
            self.send(Message::Notification(Notification::new(method, params)));
        }
    }

    fn answer(&mut self, request: Request) -> Response {
        let id = request.id.clone();
        let Ok(about) = serde_json::from_value::<About>(request.params.clone()) else {
            let message = format!("`{}` is not known here", request.method);
            return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
        };
        self.refresh();
        let path = path_of(&about.document.uri);
        let root = self.roots().into_iter().find(|r| self.analyses.get(r).is_some_and(|a| a.file(&path).is_some()));
        let root = root.unwrap_or_else(|| path.clone());
        let found = self.analyses.get(&root).and_then(|a| Some((a, a.file(&path)?.0)));
        let Some((analysis, file)) = found else {
            return Response::new_err(id, ErrorCode::InvalidParams as i32, "the document isn't open".to_owned());
        };
        let asked = Asked {
            analysis,
            documents: &self.documents,
            host: self.host,
            encoding: self.encoding,
            docs: self.docs.as_deref(),
            ordered: self.ordered,
            path: &path,
            root: &root,
            id: file,
        };
        match dispatch(&asked, &request) {
            Ok(Some(result)) => Response::new_ok(id, result),
            Ok(None) => {
                let message = format!("`{}` is not known here", request.method);
                Response::new_err(id, ErrorCode::MethodNotFound as i32, message)
            }
            Err(message) => Response::new_err(id, ErrorCode::InvalidParams as i32, message),
        }
    }
}

/// The answer to a request; None for one that isn't known. The error is for the user.
fn dispatch(asked: &Asked<'_>, request: &Request) -> Result<Option<serde_json::Value>, String> {
    let mut call = Call { asked, request, result: Ok(None) };
    call.on::<lsp::CompletionRequest>(|a, p| Ok(complete::complete(a, &p.text_document_position_params)));
    call.on::<lsp::HoverRequest>(|a, p| Ok(hover::hover(a, &p.text_document_position_params)));
    call.on::<lsp::DefinitionRequest>(|a, p| Ok(navigate::definition(a, &p.text_document_position_params)));
    call.on::<lsp::ReferencesRequest>(|a, p| {
        Ok(navigate::references(a, &p.text_document_position_params, p.context.include_declaration))
    });
    call.on::<lsp::DocumentHighlightRequest>(|a, p| Ok(navigate::highlight(a, &p.text_document_position_params)));
    call.on::<lsp::PrepareRenameRequest>(|a, p| navigate::prepare(a, &p.text_document_position_params));
    call.on::<lsp::RenameRequest>(|a, p| navigate::rename(a, &p.text_document_position_params, &p.new_name));
    call.on::<lsp::DocumentSymbolRequest>(|a, _| Ok(outline::symbols(a)));
    call.on::<lsp::FoldingRangeRequest>(|a, _| Ok(outline::folds(a)));
    call.on::<lsp::SelectionRangeRequest>(|a, p| Ok(outline::selections(a, &p.positions)));
    call.on::<lsp::DocumentLinkRequest>(|a, _| Ok(outline::links(a)));
    call.on::<lsp::SemanticTokensRequest>(|a, _| Ok(tokens::tokens(a)));
    call.on::<lsp::InlayHintRequest>(|a, p| Ok(hints::hints(a, p.range)));
    call.on::<lsp::CodeActionRequest>(|a, p| {
        let mut all = actions::actions(a, p.range);
        if extract::wanted(p.context.only.as_deref()) {
            all.extend(extract::actions(a, a.offset(p.range.start), a.offset(p.range.end)));
        }
        Ok(Some(all))
    });
    call.on::<lsp::DocumentFormattingRequest>(|a, _| Ok(reformat::format(a, None)));
    call.on::<lsp::DocumentRangeFormattingRequest>(|a, p| Ok(reformat::format(a, Some(p.range))));
    call.result
}

struct Call<'a> {
    asked: &'a Asked<'a>,
    request: &'a Request,
    result: Result<Option<serde_json::Value>, String>,
}

impl Call<'_> {
    fn on<R: lsp::Request>(&mut self, f: impl FnOnce(&Asked<'_>, R::Params) -> Result<R::Result, String>) {
        if self.request.method != R::METHOD.as_str() {
            return;
        }
        self.result = serde_json::from_value::<R::Params>(self.request.params.clone())
            .map_err(|e| format!("the request's parameters are wrong: {e}"))
            .and_then(|params| f(self.asked, params))
            .and_then(|result| serde_json::to_value(result).map(Some).map_err(|e| e.to_string()));
        if let Err(message) = &self.result {
            self.asked.host.log(&format!("{}: {message}", self.request.method));
        }
    }
}
