package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Pages of others do not read the metrics, under whatever name they have this address.
func TestMetricsForeign(t *testing.T) {
	h := own(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), []string{"scanner"})
	for _, c := range []struct {
		host, header, value string
		want                int
	}{
		{"127.0.0.1:9100", "", "", 200},
		{"[::1]:9100", "", "", 200},
		{"localhost:9100", "", "", 200},
		{"Scanner:9100", "", "", 200},
		{"evil.example", "", "", 421},
		{"127.0.0.1.evil.example", "", "", 421},
		{"localhost", "Origin", "http://evil.example", 403},
		{"localhost", "Sec-Fetch-Site", "cross-site", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://"+c.host+"/metrics", nil)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}
