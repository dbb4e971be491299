//! SOAP 1.1 envelopes, both ways.

use super::fault::Fault;
use super::value::{Field, Moref, WireError};
use super::xml::{Element, Limits, PBM, VIM25, XSD, XSI, XmlError};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// Which of a vCenter's SOAP services a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// The inventory and all that is done with it, at `/sdk`.
    #[default]
    Vim,
    /// Storage policies, at `/pbm`.
    Pbm,
}

impl Service {
    /// The namespace of its messages.
    pub fn namespace(self) -> &'static str {
        match self {
            Service::Vim => VIM25,
            Service::Pbm => PBM,
        }
    }
}

/// A method of the API: its request, and what it returns.
pub trait Method: Sized + Send + Sync {
    /// The name in the message: `CloneVM_Task`.
    const NAME: &'static str;
    /// Whether sending it twice does no harm.
    const SAFE: bool;
    /// The service that has it.
    const SERVICE: Service = Service::Vim;
    /// What `returnval` holds.
    type Returns: Field;
    /// The object that it is called on.
    fn this(&self) -> &Moref;
    /// The request as the body's element.
    fn to_body(&self) -> Element;
    /// Reads a request from the body's element.
    fn from_body(element: &Element) -> Result<Self, WireError>;

    /// The response as the body's element.
    fn response(returns: &Self::Returns) -> Element {
        let mut element = Element::new(format!("{}Response", Self::NAME));
        returns.write("returnval", &mut element);
        element
    }

    /// Reads the response from the body's element.
    fn from_response(element: &Element) -> Result<Self::Returns, WireError> {
        match element.name.strip_suffix("Response") {
            Some(name) if name == Self::NAME => Self::Returns::read(element, "returnval"),
            _ => Err(WireError::Unexpected { wanted: format!("{}Response", Self::NAME), found: element.name.clone() }),
        }
    }
}

/// A request as a server gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `operationID` of the SOAP header, which correlates logs of both sides.
    pub operation_id: Option<String>,
    /// `vcSessionCookie` of the SOAP header, an alternative to the HTTP cookie.
    pub session: Option<String>,
    /// The body's element: a method's request.
    pub body: Element,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The body's element: a method's response.
    Body(Element),
    /// The method failed.
    Fault(Fault),
}

/// Writes a request document.
pub fn request_document(body: &Element, operation_id: Option<&str>) -> Result<String, XmlError> {
    let header = operation_id.map(|id| Element::text("operationID", id));
    document(header.as_ref().map(|header| (header, Some(VIM25))), body, Some(VIM25))
}

/// Writes a request of another service than the inventory's, which knows its caller by the session of that one.
pub fn service_document(service: Service, body: &Element, session: &str) -> Result<String, XmlError> {
    let header = Element::text("vcSessionCookie", session);
    document(Some((&header, None)), body, Some(service.namespace()))
}

/// Writes a response document.
pub fn response_document(service: Service, body: &Element) -> Result<String, XmlError> {
    document(None, body, Some(service.namespace()))
}

/// Writes a fault document, to be sent with HTTP status 500.
pub fn fault_document(fault: &Fault) -> Result<String, XmlError> {
    let detail = fault.detail_element(&format!("{}Fault", fault.kind)).attr("xmlns", VIM25);
    let body = Element::new("soapenv:Fault")
        .with(Element::text("faultcode", "ServerFaultCode"))
        .with(Element::text("faultstring", &fault.message))
        .with(Element::new("detail").with(detail));
    document(None, &body, None)
}

/// Header and body with the namespaces that they are in.
fn document(
    header: Option<(&Element, Option<&str>)>,
    body: &Element,
    namespace: Option<&str>,
) -> Result<String, XmlError> {
    let mut out = String::with_capacity(1024);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope");
    for (name, namespace) in [("soapenv", ENVELOPE), ("xsd", XSD), ("xsi", XSI)] {
        out.push_str(&format!(" xmlns:{name}=\"{namespace}\""));
    }
    out.push('>');
    if let Some((header, namespace)) = header {
        out.push_str("<soapenv:Header>");
        header.write(&mut out, declared(&namespace.map(|n| ("xmlns", n))))?;
        out.push_str("</soapenv:Header>");
    }
    out.push_str("<soapenv:Body>");
    body.write(&mut out, declared(&namespace.map(|n| ("xmlns", n))))?;
    out.push_str("</soapenv:Body></soapenv:Envelope>");
    Ok(out)
}

fn declared<'a, 'b>(namespace: &'b Option<(&'a str, &'a str)>) -> &'b [(&'a str, &'a str)] {
    namespace.as_slice()
}

/// Reads a request document.
pub fn parse_request(document: &[u8], limits: Limits) -> Result<Request, WireError> {
    let envelope = parse_envelope(document, limits)?;
    let header = |name: &str| envelope.child("Header").and_then(|h| h.child_text(name)).map(str::to_owned);
    let (operation_id, session) = (header("operationID"), header("vcSessionCookie"));
    Ok(Request { operation_id, session, body: take_body(envelope)? })
}

/// Reads an answer: a response or a fault.
pub fn parse_reply(document: &[u8], limits: Limits) -> Result<Reply, WireError> {
    let body = take_body(parse_envelope(document, limits)?)?;
    Ok(if body.name == "Fault" { Reply::Fault(Fault::from_soap(&body)) } else { Reply::Body(body) })
}

fn parse_envelope(document: &[u8], limits: Limits) -> Result<Element, WireError> {
    let root = Element::parse(document, limits)?;
    if root.name != "Envelope" {
        return Err(WireError::NotSoap { root: root.name });
    }
    Ok(root)
}

fn take_body(mut envelope: Element) -> Result<Element, WireError> {
    let body = envelope
        .child_mut("Body")
        .ok_or_else(|| WireError::Missing { parent: "Envelope".to_owned(), child: "Body".to_owned() })?;
    let mut children = std::mem::take(&mut body.children).into_iter();
    children.next().ok_or_else(|| WireError::Missing { parent: "Body".to_owned(), child: "a message".to_owned() })
}
