// Package mutuals is the map of the project.
package mutuals
