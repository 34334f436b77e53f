import { Link } from "@tanstack/react-router";

import { Empty } from "@/components/empty";

export function NotFound() {
  return (
    <Empty title="There is no such page">
      <Link to="/" style={{ color: "inherit" }}>
        To the shoppers
      </Link>
    </Empty>
  );
}
