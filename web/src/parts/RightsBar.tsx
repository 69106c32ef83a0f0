import type { LiveGraph } from "../live/LiveGraph";
import type { RightsNews } from "../live/Rights";
import { unsaved } from "../saved";
import { edits } from "../savedWords";
import { useStore } from "../store";

const WORDS: Record<Exclude<RightsNews, null>, string> = {
  raised: "You can edit this graph now.",
  reduced: "You can only view this graph now.",
};

/** Says in place that one may do more or less than a moment ago. */
export function RightsBar({ live }: { live: LiveGraph }) {
  const news = useStore(live.rights.news);
  const lost = unsaved(useStore(live.saved));
  return (
    <div aria-live="polite">
      {news && (
        <p className="rights-bar" data-news={news}>
          {WORDS[news]}
          {news === "reduced" && lost > 0 && ` ${edits(lost)} of yours could not be saved.`}
          <button type="button" className="link-button" onClick={() => live.rights.news.set(null)}>
            Close
          </button>
        </p>
      )}
    </div>
  );
}
