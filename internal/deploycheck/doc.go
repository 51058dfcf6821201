// Package deploycheck holds the files in deploy/ against what reads them. It is a
// module of its own because Kubernetes's types are large.
package deploycheck
