// Package docs holds the pages of this repository to what they promise: links lead
// somewhere, the README stays short, a page says whom it is for, every alert has its section,
// every option its row and its Example. It has tests only.
package docs
