import { Page } from "@/app/page";
import { WhatIfForUser } from "@/app/routes/what-if-for-user";

export function WhatIfPage() {
  return (
    <Page title="What if" intro="Ask the model about an imagined shopper. To start from a real one, open a shopper and choose “What if”.">
      <WhatIfForUser userId={null} />
    </Page>
  );
}
