package broker

import (
	"net/http"
	"slices"
)

// cors sets what a page of another origin needs to read the response, and says whether the origin may use the broker at all. Naming
// the origin instead of * also serves clients that send cookies.
func (f *frontend) cors(header http.Header, origin string) bool {
	if origin == "" {
		return true
	}
	header.Add("Vary", "Origin")
	if f.cfg.AllowedOrigins != nil && !slices.Contains(f.cfg.AllowedOrigins, origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
	return true
}

// preflight answers a browser that asks before it sends a request with headers of the application.
func preflight(header http.Header, r *http.Request) {
	header.Set("Access-Control-Allow-Methods", "POST")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		header.Set("Access-Control-Allow-Headers", names)
	}
	header.Set("Access-Control-Max-Age", "3600")
}
