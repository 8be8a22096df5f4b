"""The verbs, one public function each; they know ports, never adapters."""
