// Package docs holds the pages of this repository to what they promise: links lead
// somewhere, the README stays short, a page says whom it is for, and every option has
// its row. It has tests only.
package docs
