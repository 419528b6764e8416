// Package api is the door for programs that speak HTTP: scan requests that are
// answered at once or later, the rules, health and metrics. openapi.json describes it;
// a test holds that against the code.
package api
