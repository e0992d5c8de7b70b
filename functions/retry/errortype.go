package retry

// An ErrorType is a registered proxy error type, RFC 9209 section 2.3.
type ErrorType string

// The error types of RFC 9209 section 2.3 that an attempt can end with.
const (
	DNSTimeout                    ErrorType = "dns_timeout"
	DNSError                      ErrorType = "dns_error"
	DestinationUnavailable        ErrorType = "destination_unavailable"
	DestinationIPProhibited       ErrorType = "destination_ip_prohibited"
	DestinationIPUnroutable       ErrorType = "destination_ip_unroutable"
	ConnectionRefused             ErrorType = "connection_refused"
	ConnectionTerminated          ErrorType = "connection_terminated"
	ConnectionTimeout             ErrorType = "connection_timeout"
	ConnectionReadTimeout         ErrorType = "connection_read_timeout"
	ConnectionWriteTimeout        ErrorType = "connection_write_timeout"
	ConnectionLimitReached        ErrorType = "connection_limit_reached"
	TLSProtocolError              ErrorType = "tls_protocol_error"
	TLSCertificateError           ErrorType = "tls_certificate_error"
	TLSAlertReceived              ErrorType = "tls_alert_received"
	HTTPRequestError              ErrorType = "http_request_error"
	HTTPRequestDenied             ErrorType = "http_request_denied"
	HTTPResponseIncomplete        ErrorType = "http_response_incomplete"
	HTTPResponseHeaderSectionSize ErrorType = "http_response_header_section_size"
	HTTPResponseBodySize          ErrorType = "http_response_body_size"
	HTTPResponseTimeout           ErrorType = "http_response_timeout"
	HTTPProtocolError             ErrorType = "http_protocol_error"
	ProxyInternalResponse         ErrorType = "proxy_internal_response"
	ProxyInternalError            ErrorType = "proxy_internal_error"
	ProxyConfigurationError       ErrorType = "proxy_configuration_error"
	ProxyLoopDetected             ErrorType = "proxy_loop_detected"
)

// lasting holds the failures that another attempt would meet again: they come from a certificate, from the size of an
// answer, or from a rule of our own, and not from the state that the upstream or the network happens to be in.
var lasting = map[ErrorType]bool{
	DestinationIPProhibited:       true,
	TLSCertificateError:           true,
	HTTPRequestError:              true,
	HTTPRequestDenied:             true,
	HTTPResponseHeaderSectionSize: true,
	HTTPResponseBodySize:          true,
	ProxyConfigurationError:       true,
	ProxyLoopDetected:             true,
}

// Lasting says whether another attempt would meet the failure again, since it comes from a certificate, from the size of an
// answer, or from a rule of our own: it says nothing of the state that the upstream is in.
func (t ErrorType) Lasting() bool { return lasting[t] }
