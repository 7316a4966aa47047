package judge

import (
	"runtime/debug"
	"strings"
)

// ModuleVersion is the version of a module that this program was built with.
func ModuleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, one := range info.Deps {
		if one.Path == path {
			return strings.TrimPrefix(one.Version, "v")
		}
	}
	return "unknown"
}
