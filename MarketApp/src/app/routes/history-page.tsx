import { Page } from "@/app/page";
import { History } from "@/features/history/history";

export function HistoryPage() {
  return (
    <Page title="History" intro="What the model answered to your “what if” questions.">
      <History />
    </Page>
  );
}
