// Package openapitest checks httpqueue's server against its own description. It
// is a module of its own, so that nobody else needs what reads OpenAPI.
package openapitest
